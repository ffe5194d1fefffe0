//! Where the numbers of a mount are asked for.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Memory, MountPoint, logged, watchdog};
use fusesg_fs::{Context, Inode, Operation, Properties, Result};
use fusesg_serve::{Dispatch, Mount, MountConfig, Native, Responder, Value};

/// Panics when its numbers are asked for, once.
struct Panics {
    served: Native<Memory>,
    has_panicked: AtomicBool,
}

impl Dispatch for Panics {
    fn properties(&self) -> Properties {
        self.served.properties()
    }

    fn init(&self) -> Result<()> {
        self.served.init()
    }

    fn dispatch(&self, context: Context, operation: Operation<'_>, responder: Responder) {
        self.served.dispatch(context, operation, responder);
    }

    fn forget(&self, inode: Inode, count: u64) {
        self.served.forget(inode, count);
    }

    fn numbers(&self) -> Value {
        assert!(self.has_panicked.swap(true, Ordering::SeqCst), "the first time");
        Value::map([("answers", 42_u64.into())])
    }

    fn destroy(&self) {
        self.served.destroy();
    }
}

fn ask(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /statistics HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_panic_costs_one_answer() {
    watchdog();
    let point = MountPoint::new();
    let served = Native::new(Arc::new(Memory::new()));
    let panics = Panics { served, has_panicked: AtomicBool::new(false) };
    let config =
        MountConfig { metrics: Some("127.0.0.1:0".into()), ..MountConfig::new(point.path()) };
    let mount = Mount::new(Arc::new(panics), config).unwrap();
    let address = mount.metrics_address().unwrap();
    assert_eq!(ask(address), "");
    assert!(logged("telling the numbers of a mount panicked"));
    assert!(ask(address).contains("\"answers\":42"));
    mount.unmount().unwrap();
}
