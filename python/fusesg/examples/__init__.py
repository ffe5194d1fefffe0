"""The files of the directory examples/, for where only the package is installed.

`fusesg mount fusesg.examples.tar:TarFilesystem MOUNTPOINT --set path=ARCHIVE.tar`

In the repository they are links: a wheel has the files themselves.
"""
