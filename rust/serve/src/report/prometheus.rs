//! The text that Prometheus reads: its exposition format, version 0.0.4.
//!
//! Names, base units and labels follow its conventions: seconds and bytes, `_total` for what
//! only grows, one series for each mount and operation.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use super::Value;
use crate::histogram::Durations;
use crate::metrics::{OldRequest, OperationStatistics, Statistics};

/// Media type of the text.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Bounds of the buckets that are shown, as powers of two of nanoseconds: 1 us to 34 s. All
/// buckets that there are would be six times as many series.
const BOUNDS: RangeInclusive<u32> = 10..=35;

/// A number that is shown as it is.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    /// The label by which its series differ, if there are several.
    label: &'static str,
    /// Value of the label, and where the number is.
    series: &'static [(&'static str, &'static [&'static str])],
}

const FAMILIES: &[Family] = &[
    Family {
        name: "fusesg_uptime_seconds",
        kind: "gauge",
        help: "Time since it was mounted.",
        label: "",
        series: &[("", &["seconds"])],
    },
    Family {
        name: "fusesg_requests_in_flight",
        kind: "gauge",
        help: "Requests that have not been answered.",
        label: "",
        series: &[("", &["in_flight"])],
    },
    Family {
        name: "fusesg_requests_parked",
        kind: "gauge",
        help: "Requests that wait for others to end, by max_requests.",
        label: "",
        series: &[("", &["parked"])],
    },
    Family {
        name: "fusesg_requests_given_up_total",
        kind: "counter",
        help: "Requests answered in their callback's place.",
        label: "reason",
        series: &[("killed", &["interrupted"]), ("timeout", &["timed_out"])],
    },
    Family {
        name: "fusesg_given_up_running",
        kind: "gauge",
        help: "Callbacks that still run, though their request was answered in their place.",
        label: "",
        series: &[("", &["given_up", "running"])],
    },
    Family {
        name: "fusesg_requests_delayed_total",
        kind: "counter",
        help: "Requests that waited for others to end, by max_requests.",
        label: "",
        series: &[("", &["core", "requests", "waits"])],
    },
    Family {
        name: "fusesg_pool_resident_bytes",
        kind: "gauge",
        help: "Bytes of the buffers that exist.",
        label: "pool",
        series: &[
            ("reply", &["core", "pool", "bytes_resident"]),
            ("write", &["python", "write_pool", "bytes_resident"]),
            ("fetch", &["python", "fetches", "pool", "bytes_resident"]),
        ],
    },
    Family {
        name: "fusesg_pool_peak_bytes",
        kind: "gauge",
        help: "The most bytes of buffers that ever existed.",
        label: "pool",
        series: &[
            ("reply", &["core", "pool", "bytes_peak"]),
            ("write", &["python", "write_pool", "bytes_peak"]),
            ("fetch", &["python", "fetches", "pool", "bytes_peak"]),
        ],
    },
    Family {
        name: "fusesg_pool_idle_bytes",
        kind: "gauge",
        help: "Bytes of the buffers that nobody uses.",
        label: "pool",
        series: &[
            ("reply", &["core", "pool", "bytes_idle"]),
            ("write", &["python", "write_pool", "bytes_idle"]),
            ("fetch", &["python", "fetches", "pool", "bytes_idle"]),
        ],
    },
    Family {
        name: "fusesg_pipes",
        kind: "gauge",
        help: "Pipes between files and the kernel.",
        label: "state",
        series: &[
            ("lent", &["core", "copier", "pipes", "lent"]),
            ("idle", &["core", "copier", "pipes", "idle"]),
        ],
    },
    Family {
        name: "fusesg_pipes_peak",
        kind: "gauge",
        help: "The most pipes that were ever in use.",
        label: "",
        series: &[("", &["core", "copier", "pipes", "lent_peak"])],
    },
    Family {
        name: "fusesg_read_bytes_total",
        kind: "counter",
        help: "Bytes of answers to reads that came from files, pipes and sockets, by their way.",
        label: "way",
        series: &[
            ("spliced", &["core", "copier", "bytes_spliced"]),
            ("mapped", &["core", "copier", "bytes_mapped"]),
            ("copied", &["core", "copier", "bytes_copied"]),
        ],
    },
    Family {
        name: "fusesg_notifications_total",
        kind: "counter",
        help: "What the kernel was told unasked.",
        label: "outcome",
        series: &[
            ("sent", &["notifications", "sent"]),
            ("ignored", &["notifications", "ignored"]),
            ("merged", &["notifications", "merged"]),
            ("dropped", &["notifications", "dropped"]),
            ("failed", &["notifications", "failed"]),
        ],
    },
    Family {
        name: "fusesg_lock_waiters",
        kind: "gauge",
        help: "Programs that wait for a POSIX lock.",
        label: "",
        series: &[("", &["locks", "waiting"])],
    },
    Family {
        name: "fusesg_callbacks_total",
        kind: "counter",
        help: "Operations that went to Python.",
        label: "",
        series: &[("", &["python", "callbacks"])],
    },
    Family {
        name: "fusesg_callback_threads",
        kind: "gauge",
        help: "Threads for callbacks, besides the readers.",
        label: "",
        series: &[("", &["python", "threads"])],
    },
    Family {
        name: "fusesg_callbacks_waiting",
        kind: "gauge",
        help: "Callbacks and pieces of answers that wait for their turn.",
        label: "queue",
        series: &[
            ("threads", &["python", "waiting"]),
            ("event_loop", &["python", "event_loop", "queued"]),
            ("fetches", &["python", "fetches", "queued"]),
        ],
    },
    Family {
        name: "fusesg_tasks",
        kind: "gauge",
        help: "Async callbacks that have begun and not ended.",
        label: "",
        series: &[("", &["python", "event_loop", "tasks"])],
    },
    Family {
        name: "fusesg_handles",
        kind: "gauge",
        help: "Files and directories that are open with a handle of Python.",
        label: "",
        series: &[("", &["python", "handles"])],
    },
];

/// The numbers of a mount, of which `numbers` are all that are not about operations.
pub(crate) fn exposition(mountpoint: &OsStr, statistics: &Statistics, numbers: &Value) -> String {
    let mut text = Exposition { mount: escape(&mountpoint.to_string_lossy()), text: String::new() };
    text.operations(&statistics.operations);
    for family in FAMILIES {
        text.family(family, numbers);
    }
    text.oldest(
        "fusesg_oldest_request_seconds",
        "Age of the oldest request that has not been answered.",
        &statistics.oldest,
    );
    text.oldest(
        "fusesg_oldest_given_up_seconds",
        "Age of the oldest request that was answered in its callback's place, which still runs.",
        &statistics.oldest_given_up,
    );
    text.text
}

type Number = fn(&OperationStatistics) -> u64;
type Times = fn(&OperationStatistics) -> Option<&Durations>;

struct Exposition {
    /// The mount point, as a label has it.
    mount: String,
    text: String,
}

impl Exposition {
    fn operations(&mut self, operations: &[OperationStatistics]) {
        let counters: [(&str, &str, Number); 3] = [
            ("fusesg_operations_total", "Answers given, errors included.", |o| o.count),
            ("fusesg_operation_errors_total", "Answers that were an error.", |o| o.errors),
            ("fusesg_operation_bytes_total", "Bytes of data and attribute values.", |o| o.bytes),
        ];
        for (name, help, number) in counters {
            self.head(name, "counter", help);
            for operation in operations {
                let labels = [("operation", operation.kind.name())];
                self.sample(name, &labels, number(operation));
            }
        }
        let histograms: [(&str, &str, Times); 3] = [
            (
                "fusesg_operation_duration_seconds",
                "From a request's arrival to its answer, of those that were timed.",
                |o| Some(&o.latency),
            ),
            (
                "fusesg_gil_wait_seconds",
                "What callbacks waited for the interpreter lock, of those that were timed.",
                |o| o.callback.as_ref().map(|callback| &callback.gil_wait),
            ),
            (
                "fusesg_callback_duration_seconds",
                "What methods in Python took, of those that were timed.",
                |o| o.callback.as_ref().map(|callback| &callback.run),
            ),
        ];
        for (name, help, times) in histograms {
            self.head(name, "histogram", help);
            for operation in operations {
                if let Some(times) = times(operation) {
                    self.histogram(name, operation.kind.name(), times);
                }
            }
        }
    }

    fn histogram(&mut self, name: &str, operation: &str, times: &Durations) {
        let (buckets, sum, count) =
            (format!("{name}_bucket"), format!("{name}_sum"), format!("{name}_count"));
        for exponent in BOUNDS {
            #[expect(clippy::cast_precision_loss, reason = "a power of two is exact")]
            let bound = format!("{:?}", (1_u64 << exponent) as f64 / 1e9);
            let labels = [("operation", operation), ("le", &bound)];
            self.sample(&buckets, &labels, times.below_power(exponent));
        }
        self.sample(&buckets, &[("operation", operation), ("le", "+Inf")], times.count());
        let labels = [("operation", operation)];
        self.sample(&sum, &labels, format_args!("{:?}", times.total.as_secs_f64()));
        self.sample(&count, &labels, times.count());
    }

    fn family(&mut self, family: &Family, numbers: &Value) {
        let mut is_first = true;
        for (value, path) in family.series {
            let Some(number @ (Value::Count(_) | Value::Seconds(_))) = numbers.get(path) else {
                continue;
            };
            if std::mem::take(&mut is_first) {
                self.head(family.name, family.kind, family.help);
            }
            let labels = [(family.label, *value)];
            let labels = if family.label.is_empty() { &[][..] } else { &labels[..] };
            self.sample(family.name, labels, number);
        }
    }

    /// How old the oldest request is: what to be alarmed by when callbacks hang.
    fn oldest(&mut self, name: &str, help: &str, oldest: &[OldRequest]) {
        self.head(name, "gauge", help);
        let age = oldest.first().map_or(0.0, |request| request.age.as_secs_f64());
        self.sample(name, &[], format_args!("{age:?}"));
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], number: impl std::fmt::Display) {
        let _ = write!(self.text, "{name}{{mountpoint=\"{}\"", self.mount);
        for (label, value) in labels {
            let _ = write!(self.text, ",{label}=\"{value}\"");
        }
        let _ = writeln!(self.text, "}} {number}");
    }
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
