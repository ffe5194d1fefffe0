"""Many mounts, one after the other, at once, and one in the other."""


def test_two_hundred_cycles_leave_nothing(run_child):
    program = """
def used():
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "children": len(open(f"/proc/self/task/{os.getpid()}/children").read().split()),
        "mounts": open("/proc/self/mounts").read().count(mountpoint),
    }

def cycle():
    with fusesg.mount(Served(), mountpoint):
        with open(path("text"), "rb") as file:
            file.read()

for _ in range(20):
    cycle()  # some threads serve all mounts and stay
before = used()
for _ in range(200):
    cycle()
def grown():
    return [what for what, count in used().items() if count > before[what]]

deadline = time.monotonic() + 5
while grown() and time.monotonic() < deadline:
    # a thread that has ended stays in /proc for a moment; so it may have before, too
    os.sched_yield()
assert not grown(), f"{before} became {used()}"
"""
    result = run_child(program, timeout=50)
    assert (result.returncode, result.stderr) == (0, "")


def test_twenty_mounts_at_once(run_child):
    program = """
points = [os.path.join(os.path.dirname(mountpoint), f"mnt-{n}") for n in range(20)]
for point in points:
    os.mkdir(point)
filesystem = Served()  # the same for all
mounts = [fusesg.mount(filesystem, point) for point in points]
say({os.stat(point + "/text").st_size for point in points})
for mount in mounts[::2]:
    mount.unmount()
say([mount.is_alive for mount in mounts] == [False, True] * 10)
# the others end with the process
"""
    result = run_child(program)
    assert (result.stdout, result.stderr) == ("{65536}\nTrue\n", "")


def test_a_mount_in_a_mount(run_child):
    program = """
for first in ("inner", "outer"):
    mounts = {"outer": fusesg.mount(Served(), mountpoint)}
    mounts["inner"] = fusesg.mount(Served(), path("directory"))
    say(os.stat(path("directory/text")).st_size)
    mounts.pop(first).unmount()
    mounts.popitem()[1].unmount()
    say(os.listdir(mountpoint))
"""
    result = run_child(program)
    assert (result.stdout, result.stderr) == ("65536\n[]\n" * 2, "")
