"""Webhooks: who is told over HTTP that tasks have ended, by the scheme of Standard Webhooks, and the telling.

May import the settings, storage, the addresses that tools may connect to, and the errors beneath.
"""
