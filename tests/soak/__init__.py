"""A long run that shows that nothing grows: threads, sockets, descriptors, memory."""
