"""The lab's Active Directory: domain controllers that answer LDAP from the organisation.

forest = Forest(organisation, now)
async with DomainController(forest, "ls-dc1", accounts) as dc: ...
"""

from mailmig.lab.directory.forest import Forest, Standing
from mailmig.lab.directory.serving import DomainController

__all__ = ["DomainController", "Forest", "Standing"]
