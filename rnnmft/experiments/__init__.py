"""The papers' experiments, run again: does the theory of initialization predict training?"""
