"""A mount that nobody uses costs nothing."""

USED = """
filesystem = Served()
mount = fusesg.mount(filesystem, mountpoint, watchdog_timeout=0.4)
for _ in range(3):
    os.listdir(mountpoint)
    open(path("text"), "rb").read()
# one of each kind of thread that there can be
reader = start(os.pread, os.open(path("waiting"), os.O_RDONLY), 9, 0)
filesystem.reading.wait()
more = [start(os.pread, os.open(path("waiting"), os.O_RDONLY), 9, 0) for _ in range(2)]
filesystem.go_on.set()
for thread in [reader, *more]:
    thread.join()
"""

COUNT = """
def switches():
    counts = {}
    for task in os.listdir("/proc/self/task"):
        if int(task) == threading.get_native_id():
            continue
        status = open(f"/proc/self/task/{task}/status").read().splitlines()
        fields = dict(line.split(":", 1) for line in status)
        voluntary = int(fields["voluntary_ctxt_switches"])
        counts[task, fields["Name"].strip()] = voluntary
    return counts

def pause(seconds):
    never, _ = os.pipe()
    select.select([never], [], [], seconds)

def woken(seconds):
    before = switches()
    pause(seconds)
    now = switches()
    return [key[1] for key in now if now[key] != before.get(key)]

deadline = time.monotonic() + 15
# executors stay for some seconds, the watchdog looks a few times, and buffers are given
# back after a second
while woken(1.5):
    assert time.monotonic() < deadline, woken(1)
say(woken(1.5))
"""


def test_no_thread_wakes_up_while_nothing_happens(run_child):
    result = run_child(USED + COUNT, timeout=30)
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_waiting_for_the_end_of_a_mount_wakes_nobody_up(run_child):
    program = """
waiting = start(mount.wait)
"""
    result = run_child(USED + program + COUNT, timeout=30)
    assert (result.stdout, result.stderr) == ("[]\n", "")
