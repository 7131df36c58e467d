"""Work on a server's data beside serving: moving in and out, checking, backing up, keeping the disk from filling."""
