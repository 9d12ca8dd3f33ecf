"""Ready-made functions that act on what AWS Config finds. They run inside Lambda with boto3, and import nothing else of this project.

`secrets` has the actions: each is done when a secret becomes NON_COMPLIANT, and taken back when it is COMPLIANT again.
"""
