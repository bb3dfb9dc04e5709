"""Brings clock and loop: long work against live servers, step by step, told as it goes."""
