//! Replies: one plain vector of bytes.

/// A piece of a segment list.
#[derive(Clone, Debug)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Bytes of a file, which may end before the extent does.
    Extent {
        /// Number of the file.
        file: usize,
        /// First byte.
        offset: usize,
        /// Number of bytes.
        length: usize,
    },
    /// That many zero bytes.
    Zeros(usize),
}

/// The message that the pieces are: up to the first byte that is not there.
pub fn message(pieces: &[Piece], files: &[Vec<u8>]) -> Vec<u8> {
    let mut all = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => all.extend(bytes),
            Piece::Zeros(length) => all.extend(vec![0; *length]),
            Piece::Extent { file, offset, length } => {
                for position in *offset..offset + length {
                    match files[*file].get(position) {
                        Some(byte) => all.push(*byte),
                        None => return all,
                    }
                }
            }
        }
    }
    all
}
