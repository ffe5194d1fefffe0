"""The files of the directory examples/, so that they can be used where fusesg is installed.

`fusesg mount fusesg.examples.tar:TarFilesystem MOUNTPOINT --set path=ARCHIVE.tar`

In the repository they are links: a wheel has the files themselves.
"""
