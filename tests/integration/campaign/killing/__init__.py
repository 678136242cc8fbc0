"""Rounds of attacks on runners: nothing is sent twice, nothing is lost.

``python -m tests.integration.campaign.killing --rounds 200`` makes 200 rounds. Each has a ledger
and a gateway of its own, sends a campaign or single sends in processes of their own, and attacks
them at random moments. Then an operator runs it to its end, decides what is unknown by the
gateway's own record, and the ledger is compared with that record.
"""
