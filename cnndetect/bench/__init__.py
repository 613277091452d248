"""The benchmark: run detectors on suites, store their scores and results, and build the leaderboard."""
