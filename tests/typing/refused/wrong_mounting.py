"""Mounts and settings that cannot be."""

import fusesg
from fusesg.examples.hello import Hello

fusesg.Config(threads=4)  # wrong: call-arg, reportCallIssue
fusesg.Config(entry_timeout="60")  # wrong: arg-type, reportArgumentType
fusesg.Config(max_write=None)  # wrong: arg-type, reportArgumentType
fusesg.Config(True)  # wrong: call-arg, reportCallIssue
fusesg.Config().replace(threads=4)  # wrong: call-arg, reportCallIssue
fusesg.Config.profile("latency", trace="yes")  # wrong: arg-type, reportArgumentType
fusesg.Config.load(options=["ro"])  # wrong: arg-type, reportArgumentType
fusesg.Config().read_only = True  # wrong: misc, reportAttributeAccessIssue

fusesg.mount(Hello())  # wrong: call-arg, reportCallIssue
fusesg.mount("/mnt", Hello())  # wrong: arg-type, reportArgumentType
fusesg.mount(Hello, "/mnt")  # wrong: arg-type, reportArgumentType
fusesg.mount(Hello(), "/mnt", threads=4)  # wrong: call-arg, reportCallIssue
fusesg.mount(Hello(), "/mnt", reader_threads="4")  # wrong: arg-type, reportArgumentType
fusesg.mount(Hello(), "/mnt", {"read_only": True})  # wrong: arg-type, reportArgumentType
fusesg.serve(Hello(), "/mnt", on_ready=True)  # wrong: arg-type, reportArgumentType

fusesg.Client(Hello(), packing="page")  # wrong: arg-type, reportArgumentType
fusesg.Client(Hello(), pages=5)  # wrong: call-arg, reportCallIssue
fusesg.Client(Hello()).open_file("/hello").fileno(1)  # wrong: call-arg, reportCallIssue
fusesg.Passthrough()  # wrong: call-arg, reportCallIssue
fusesg.Memory(size="1G")  # wrong: arg-type, reportArgumentType
fusesg.Tree().add_file("name")  # wrong: call-arg, reportCallIssue
fusesg.Tree().add_file("name", b"", owner=0)  # wrong: call-arg, reportCallIssue
