"""What every explainer owes its user, clause by clause, whatever its maps say.

`calls` makes the calls of an explainer that clauses look at, in double precision where maps are compared; `clauses`
says what is owed and looks whether it was given; `gate` lets into a run who owes nothing.
"""

from harness.checks.contract.clauses import Clause, Examination, contract_clauses, examined, unmet
from harness.checks.contract.gate import ContractGate, contract_digest, contract_images, contract_targets

__all__ = [
    "Clause",
    "ContractGate",
    "Examination",
    "contract_clauses",
    "contract_digest",
    "contract_images",
    "contract_targets",
    "examined",
    "unmet",
]
