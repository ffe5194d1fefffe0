//! `Attributes`: what stat shows.

use fusesg_fs::{Attributes, FileType, Inode};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::conversions::keywords;
use crate::conversions::numbers::{MAX_OFFSET, integer, timestamp};
use crate::sys;

/// Attributes of an inode.
#[pyclass(frozen, eq, hash, name = "Attributes", module = "fusesg")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PyAttributes(pub(crate) Attributes);

/// Unit of `st_blocks`.
const BLOCK: u64 = 512;

#[pymethods]
impl PyAttributes {
    #[new]
    #[pyo3(
        signature = (
            *, mode, inode=None, size=None, nlink=None, uid=None, gid=None, rdev=None,
            blocks=None, blksize=None, atime_ns=None, mtime_ns=None, ctime_ns=None, **unknown
        ),
        text_signature = "(*, mode, inode=None, size=None, nlink=None, uid=None, gid=None, \
                          rdev=None, blocks=None, blksize=None, atime_ns=None, mtime_ns=None, \
                          ctime_ns=None)"
    )]
    fn new(
        mode: &Bound<'_, PyAny>,
        inode: Option<&Bound<'_, PyAny>>,
        size: Option<&Bound<'_, PyAny>>,
        nlink: Option<&Bound<'_, PyAny>>,
        uid: Option<&Bound<'_, PyAny>>,
        gid: Option<&Bound<'_, PyAny>>,
        rdev: Option<&Bound<'_, PyAny>>,
        blocks: Option<&Bound<'_, PyAny>>,
        blksize: Option<&Bound<'_, PyAny>>,
        atime_ns: Option<&Bound<'_, PyAny>>,
        mtime_ns: Option<&Bound<'_, PyAny>>,
        ctime_ns: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords::refuse::<Self>(unknown)?;
        let (kind, permissions) = file_mode("mode", mode)?;
        let mut attributes = defaults(kind, permissions);
        let fields = [
            ("inode", inode),
            ("size", size),
            ("nlink", nlink),
            ("uid", uid),
            ("gid", gid),
            ("rdev", rdev),
            ("blocks", blocks),
            ("blksize", blksize),
            ("atime_ns", atime_ns),
            ("mtime_ns", mtime_ns),
            ("ctime_ns", ctime_ns),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                set(&mut attributes, name, value)?;
            }
        }
        if uid.is_none() || gid.is_none() {
            let (user, group) = sys::effective_ids();
            attributes.uid = if uid.is_none() { user } else { attributes.uid };
            attributes.gid = if gid.is_none() { group } else { attributes.gid };
        }
        if blocks.is_none() {
            attributes.blocks = attributes.size.div_ceil(BLOCK);
        }
        if atime_ns.is_none() {
            attributes.atime = attributes.mtime;
        }
        if ctime_ns.is_none() {
            attributes.ctime = attributes.mtime;
        }
        Ok(Self(attributes))
    }

    /// From what os.stat() and os.lstat() return.
    #[staticmethod]
    #[pyo3(signature = (st, inode=None))]
    fn from_stat(st: &Bound<'_, PyAny>, inode: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let py = st.py();
        let (kind, permissions) = file_mode("st_mode", &st.getattr(intern!(py, "st_mode"))?)?;
        let mut attributes = defaults(kind, permissions);
        let fields = [
            ("size", intern!(py, "st_size")),
            ("nlink", intern!(py, "st_nlink")),
            ("uid", intern!(py, "st_uid")),
            ("gid", intern!(py, "st_gid")),
            ("rdev", intern!(py, "st_rdev")),
            ("blocks", intern!(py, "st_blocks")),
            ("blksize", intern!(py, "st_blksize")),
            ("atime_ns", intern!(py, "st_atime_ns")),
            ("mtime_ns", intern!(py, "st_mtime_ns")),
            ("ctime_ns", intern!(py, "st_ctime_ns")),
        ];
        for (name, attribute) in fields {
            set(&mut attributes, name, &st.getattr(attribute)?)?;
        }
        match inode {
            Some(inode) => set(&mut attributes, "inode", inode)?,
            None => set(&mut attributes, "inode", &st.getattr(intern!(py, "st_ino"))?)?,
        }
        Ok(Self(attributes))
    }

    /// A copy with some fields changed.
    #[pyo3(signature = (**changes))]
    fn replace(&self, changes: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut attributes = self.0;
        let Some(changes) = changes else { return Ok(Self(attributes)) };
        for (name, value) in changes.iter() {
            set(&mut attributes, name.cast::<pyo3::types::PyString>()?.to_str()?, &value)?;
        }
        if changes.contains("size")? && !changes.contains("blocks")? {
            attributes.blocks = attributes.size.div_ceil(BLOCK);
        }
        Ok(Self(attributes))
    }

    /// For copy.replace() of Python 3.13.
    #[pyo3(signature = (**changes))]
    fn __replace__(&self, changes: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        self.replace(changes)
    }

    #[getter]
    fn inode(&self) -> u64 {
        self.0.inode.0
    }

    #[getter]
    fn mode(&self) -> u32 {
        self.0.mode()
    }

    #[getter]
    fn size(&self) -> u64 {
        self.0.size
    }

    #[getter]
    fn nlink(&self) -> u32 {
        self.0.links
    }

    #[getter]
    fn uid(&self) -> u32 {
        self.0.uid
    }

    #[getter]
    fn gid(&self) -> u32 {
        self.0.gid
    }

    #[getter]
    fn rdev(&self) -> u32 {
        self.0.rdev
    }

    #[getter]
    fn blocks(&self) -> u64 {
        self.0.blocks
    }

    #[getter]
    fn blksize(&self) -> u32 {
        self.0.block_size
    }

    #[getter]
    fn atime_ns(&self) -> i128 {
        self.0.atime.nanoseconds_since_epoch()
    }

    #[getter]
    fn mtime_ns(&self) -> i128 {
        self.0.mtime.nanoseconds_since_epoch()
    }

    #[getter]
    fn ctime_ns(&self) -> i128 {
        self.0.ctime.nanoseconds_since_epoch()
    }

    fn __repr__(&self) -> String {
        let Attributes { inode, size, blocks, block_size, links, uid, gid, rdev, .. } = self.0;
        format!(
            "Attributes(inode={inode}, mode=0o{:o}, size={size}, nlink={links}, uid={uid}, \
             gid={gid}, rdev={rdev}, blocks={blocks}, blksize={block_size}, atime_ns={}, \
             mtime_ns={}, ctime_ns={})",
            self.mode(),
            self.atime_ns(),
            self.mtime_ns(),
            self.ctime_ns(),
        )
    }
}

/// What a field has that was not given; the owner is filled in where needed, as it takes
/// system calls.
fn defaults(kind: FileType, permissions: u16) -> Attributes {
    Attributes {
        inode: Inode(0),
        kind,
        permissions,
        size: 0,
        blocks: 0,
        block_size: 4096,
        links: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        atime: fusesg_fs::Timestamp::default(),
        mtime: fusesg_fs::Timestamp::default(),
        ctime: fusesg_fs::Timestamp::default(),
    }
}

/// Sets the field that Python calls `name`.
fn set(attributes: &mut Attributes, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    match name {
        "mode" => (attributes.kind, attributes.permissions) = file_mode(name, value)?,
        "inode" => attributes.inode = Inode(integer(name, value, 0..=u64::MAX)?),
        "size" => attributes.size = integer(name, value, 0..=MAX_OFFSET)?,
        "nlink" => attributes.links = integer(name, value, 0..=u32::MAX)?,
        "uid" => attributes.uid = integer(name, value, 0..=u32::MAX)?,
        "gid" => attributes.gid = integer(name, value, 0..=u32::MAX)?,
        "rdev" => attributes.rdev = integer(name, value, 0..=u32::MAX)?,
        "blocks" => attributes.blocks = integer(name, value, 0..=u64::MAX)?,
        "blksize" => attributes.block_size = integer(name, value, 1..=i32::MAX.cast_unsigned())?,
        "atime_ns" => attributes.atime = timestamp(name, value)?,
        "mtime_ns" => attributes.mtime = timestamp(name, value)?,
        "ctime_ns" => attributes.ctime = timestamp(name, value)?,
        _ => {
            return Err(keywords::refusal::<PyAttributes>(value.py(), (name,)));
        }
    }
    Ok(())
}

/// Type and permissions of a mode, which must have type bits.
fn file_mode(name: &str, value: &Bound<'_, PyAny>) -> PyResult<(FileType, u16)> {
    let mode: u32 = integer(name, value, 0..=0o177_777)?;
    match FileType::from_mode(mode) {
        Some(kind) => Ok((kind, u16::try_from(mode & 0o7777).expect("twelve bits"))),
        None => Err(PyValueError::new_err(format!(
            "{name}=0o{mode:o} has no file type: add one of stat.S_IFREG, S_IFDIR, S_IFLNK, \
             S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK"
        ))),
    }
}
