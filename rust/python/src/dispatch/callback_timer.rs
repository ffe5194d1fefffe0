//! Where the time of a callback goes: waiting for the GIL, or in the method.

use std::time::Instant;

use fusesg_serve::Responder;

/// The times of one callback that is run at once; nothing for a request that is not timed.
#[derive(Debug)]
pub(crate) struct CallbackTimer(Option<Times>);

#[derive(Debug)]
struct Times {
    /// The GIL is asked for.
    asked: Instant,
    /// It is had.
    had: Instant,
}

impl CallbackTimer {
    /// The GIL is about to be asked for.
    pub(crate) fn start(responder: &Responder) -> Self {
        Self(responder.is_timed().then(|| {
            let now = Instant::now();
            Times { asked: now, had: now }
        }))
    }

    /// It is had, and the method is about to be called.
    pub(crate) fn enter(&mut self) {
        if let Some(times) = &mut self.0 {
            times.had = Instant::now();
        }
    }

    /// The method has come to its end.
    pub(crate) fn end(self, responder: &Responder) {
        if let Some(Times { asked, had }) = self.0 {
            responder.time_callback(Some(had - asked), had.elapsed());
        }
    }
}
