"""Projects outside schools, each a folder of its own, with the real systems it joins."""
