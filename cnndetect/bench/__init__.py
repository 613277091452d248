"""The benchmark: suites in, scores, results and a leaderboard out."""
