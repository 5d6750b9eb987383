"""Every network that is made from the user's own.

`random`: layers drawn at random. `equal`: other weights, answers that follow from the subject's. `tiles`, `blind`,
`planted`: networks built around it whose exact attributions are known, whatever it has learned.
"""
