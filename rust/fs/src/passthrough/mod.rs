//! A directory of this machine, served natively.
