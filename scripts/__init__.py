"""What you run. Nobody imports this room; it imports all the others and introduces them to each other.

Nouns: settings, logs, supervisor, processes (what each child runs), command line, doctor, phone (a caller), benchmarks.
"""
