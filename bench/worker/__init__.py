"""The processes that compute: what they are asked, and the workbench that does it."""
