"""What one deployment changes. Each line shows a default; `bin/twittomatic settings` lists every setting.

This file is read as data: UPPERCASE names with texts, numbers, lists and tables. A relative folder starts at this file.
TWITTOMATIC_<NAME> in the environment and the options of a command come before what is said here.
"""

# Where the archive is, its parts in work (same file system) and the log of every process.
# OUTPUT_DIRECTORY = "data"
# TEMPORARY_DIRECTORY = "data/.parts"
# LOG_DIRECTORY = "data/.logs"

# The server that all machines of one deployment share; empty: a private one inside OUTPUT_DIRECTORY.
# REDIS_URL = "redis://redis.example.org:6379/0"
# SENTINELS = ["a.example.org:26379", "b.example.org:26379", "c.example.org:26379"]
# NAMESPACE = "main"

# What is crawled, and what happens to users that are found: default (a frontier file), bfs, dfs, priority.
# CRAWL = "main"
# KINDS = ["timeline", "follower", "analyzer"]
# TRAVERSING = "default"
# MAX_USERS = 0
# EXPECT = 1_000_000

# Which found users are worth crawling.
# FOLLOW = {"protected": False}

# The network, the tokens, and the address that its operators may write to.
# SOURCE = "x_v2"
# API_URL = ""
# CREDENTIALS_FILE = "credentials.toml"
# CONTACT = "you@example.org"

# Processes of this machine, jobs in hand of each, gzip level 1 to 9.
# WORKERS = 2
# THREADS = 8
# COMPRESSION = 2

# Dollars for one resource that is read, and the day of the price list.
# PRICES = {"post": 0.005, "user": 0.010, "follower": 0.010}
# PRICES_DATED = "2026-11-21"
