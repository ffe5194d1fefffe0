"""Log handlers that misbehave harm nobody; nothing that can be told is lost."""

BROKEN = """
import logging

class Broken(Served):
    def getxattr(self, inode, name, ctx):
        raise ValueError(name)

def fail(count):
    for number in range(count):
        assert outcome(os.getxattr, path("text"), f"user.{number}") == "EIO"

class Handler(logging.Handler):
    def __init__(self, function):
        super().__init__()
        self.emit = function

logger = logging.getLogger("fusesg")
logger.propagate = False
"""


def test_a_handler_that_blocks(run_child):
    program = """
entered = threading.Event()
def block(record):
    entered.set()
    threading.Event().wait()
logger.addHandler(Handler(block))
with fusesg.mount(Broken(), mountpoint):
    fail(20)
    assert entered.wait(10)
    fail(2000)  # more than the queue holds
    say(len(open(path("text"), "rb").read()))
say("unmounted")
os._exit(0)  # logging.shutdown() of Python itself waits for the handler, for ever
"""
    result = run_child(BROKEN + program)
    assert (result.returncode, result.stdout) == (0, "65536\nunmounted\n")


def test_a_handler_that_writes_into_the_mount(run_child):
    program = """
written = []
def write(record):
    descriptor = os.open(path("text"), os.O_WRONLY)
    written.append(os.write(descriptor, record.getMessage().encode()))
    os.close(descriptor)
logger.addHandler(Handler(write))
with fusesg.mount(Broken(), mountpoint):
    fail(200)
    deadline = time.monotonic() + 10
    while len(written) < 200:
        assert time.monotonic() < deadline, f"{len(written)} were written"
        os.sched_yield()
say("written")
"""
    result = run_child(BROKEN + program)
    assert (result.stdout, result.returncode) == ("written\n", 0), result.stderr


def test_a_handler_that_raises(run_child):
    program = """
told = threading.Semaphore(0)
def complain(record):
    told.release()
    raise RuntimeError("the handler is broken")
logger.addHandler(Handler(complain))
with fusesg.mount(Broken(), mountpoint):
    fail(3)
    say([told.acquire(timeout=10) for _ in range(3)])
"""
    result = run_child(BROKEN + program)
    assert (result.returncode, result.stdout) == (0, "[True, True, True]\n")
    assert result.stderr.count("RuntimeError: the handler is broken") == 3


def test_a_flood_is_bounded_and_what_is_dropped_is_counted(run_child):
    program = """
go_on = threading.Event()
records = []
def collect(record):
    go_on.wait()
    records.append(record.getMessage())
logger.addHandler(Handler(collect))
with fusesg.mount(Broken(), mountpoint):
    fail(100_000)
    go_on.set()
fusesg._logging.finish()
words = [text.split() for text in records if "log records were dropped" in text]
dropped = sum(int(number) for number, *_ in words)
told = sum("Broken.getxattr raised" in text for text in records)
say(told + dropped, told >= 1024, told < 3000)
"""
    result = run_child(BROKEN + program, timeout=40)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "100000 True True\n"


def test_nothing_is_told_below_the_level(run_child):
    program = """
logging.basicConfig()
logger.propagate = True
logger.setLevel(logging.CRITICAL + 1)
with fusesg.mount(Broken(), mountpoint):
    fail(10)
say("quiet")
"""
    result = run_child(BROKEN + program)
    assert (result.returncode, result.stdout, result.stderr) == (0, "quiet\n", "")


def test_what_is_queued_is_told_at_exit(run_child):
    program = """
logger.propagate = True
mount = fusesg.mount(Broken(), mountpoint)
fail(300)
"""
    result = run_child(BROKEN + program)
    assert result.returncode == 0
    assert result.stderr.count("ValueError: user.") == 300
