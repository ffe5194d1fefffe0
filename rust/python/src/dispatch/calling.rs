//! Running a callback: on the reader that has its operation, on another one, or on an executor.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use fusesg_fs::{Errno, Operation, Reply};

use crate::callbacks::{self, Callback, Outcome};
use crate::dispatch::callback_timer::CallbackTimer;
use crate::dispatch::dispatcher::Core;
use crate::threads::combining::{Place, Turn};
use crate::threads::executors::Job;
use crate::threads::gil_waiters::Request;
use crate::threads::thread_state::{self, Refused};

/// How long an operation that renames waits for callbacks that use the path, and these for
/// it. One that takes longer may be waiting for the other.
const PATIENCE: Duration = Duration::from_millis(250);
/// More bytes than these are not copied so that another thread can run the callback sooner.
const LARGE: usize = 32 << 10;

impl Core {
    /// Has the callback of `operation` run, and the request answered.
    pub(super) fn call(self: &Arc<Self>, request: Request, operation: Operation<'_>) {
        match self.combining.turn(is_large(&operation)) {
            Turn::Enter(place) => {
                if let Some(place) = self.run(request, &operation, Some(place)) {
                    combine(place);
                }
            }
            Turn::HandOver => {
                let job = self.job(request, operation.into_owned());
                match self.combining.hand_over(job) {
                    None => self.executors.look_after_handed(),
                    Some((place, job)) => {
                        job.run();
                        combine(place);
                    }
                }
            }
            Turn::Blocked => self.executors.submit(self.job(request, operation.into_owned())),
        }
    }

    /// The same when nobody uses its paths in a way that it would disturb.
    pub(super) fn call_when_free(self: &Arc<Self>, request: Request, operation: Operation<'_>) {
        self.executors.submit(self.job(request, operation.into_owned()));
    }

    /// A callback that another thread than the calling one is to run.
    fn job(self: &Arc<Self>, request: Request, operation: Operation<'static>) -> Job {
        let core = Arc::clone(self);
        let run = Box::new(move |request: Option<Request>| {
            // unless the watchdog answered meanwhile
            let Some(mut request) = request else { return };
            if let Some(claim) = request.claim.as_mut().filter(|claim| !claim.is_free()) {
                claim.wait(PATIENCE);
            }
            let _no_place = core.run(request, &operation, None);
        });
        Job { request: Some(request), run }
    }

    /// Runs the callback of `operation` and answers. Returns the place that it was given if
    /// something may have been handed over to it.
    fn run<'a>(
        self: &Arc<Self>,
        request: Request,
        operation: &Operation<'_>,
        mut place: Option<Place<'a>>,
    ) -> Option<Place<'a>> {
        self.count_callback();
        request.responder.carried_out_here();
        let mut timer = CallbackTimer::start(&request.responder);
        let outcome = thread_state::attach_for(request, |py, mut request| {
            timer.enter();
            if let Some(place) = &mut place {
                place.has_gil();
            }
            let callback = Callback {
                py,
                core: self,
                context: &request.context,
                responder: Some(&mut request.responder),
                description: RefCell::default(),
            };
            let outcome = callbacks::call(callback, operation);
            if !matches!(outcome, Ok(Outcome::Awaitable(_))) {
                timer.end(&request.responder);
            }
            (outcome, request)
        });
        // from here on no Python: another reader may go in, unless this one may have to wait
        let may_wait = matches!(
            &outcome, Ok((Ok(Outcome::Reply(Reply::Data(list))), _)) if list.has_streams()
        );
        let place = place.and_then(|mut place| {
            place.gave_gil_back();
            if may_wait { Some(place) } else { place.leave_if_done() }
        });
        match outcome {
            Ok((outcome, request)) => self.finish(request, operation, outcome),
            Err(Refused::Ending(request)) => {
                let _no_one_waits = request.responder.answer(Err(Errno::EIO));
            }
            Err(Refused::Abandoned) => {}
        }
        place
    }
}

/// Runs what readers hand over to the one that is in `place`, until there is nothing more.
fn combine(mut place: Place<'_>) {
    while let Some((still, job)) = place.next() {
        place = still;
        job.run();
    }
}

/// Whether an operation brings so many bytes that to keep them costs more than to wait.
fn is_large(operation: &Operation<'_>) -> bool {
    matches!(operation, Operation::Write { data, .. } if data.len() > LARGE)
}
