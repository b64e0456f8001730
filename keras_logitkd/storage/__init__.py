"""Files that appear whole, locks, checksums, JSON and its checks, and the store of logits."""
