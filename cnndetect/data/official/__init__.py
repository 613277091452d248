"""The official ForenSynths data: what it holds, its known flaws, and how to fetch, unpack and verify it."""
