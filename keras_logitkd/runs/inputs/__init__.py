"""What a run is made of: examples, networks, teachers and their logits."""
