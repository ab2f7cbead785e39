"""Prefect flows: when and where the stages run, who is told, and what is tried again.

One file a flow. A task runs its DVC stage, or a `symbio` verb where there is no stage, as a process
of its own; nothing here computes.
"""
