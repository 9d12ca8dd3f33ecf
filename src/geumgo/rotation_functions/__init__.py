"""Ready-made rotation functions. They run inside Lambda with boto3 and a driver, and import nothing else of this project.

`steps` is the state machine of a rotation; a module per engine knows how to log in and how to set a password.
"""
