"""What people read: the live display, terminal tables, figures."""
