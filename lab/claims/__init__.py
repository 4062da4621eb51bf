"""The claims: what is commonly said of activations, as experiments that anyone can run again, and honest verdicts.

One file a claim; to add one is to write its file and name it here.
"""

from lab.claims import bending, centre, depth, dying, normalizing, pieces, saturating, speed, vanishing
from lab.claims.claim import Claim

CLAIMS: dict[str, Claim] = {
    module.CLAIM.name: module.CLAIM
    for module in (depth, bending, pieces, vanishing, saturating, dying, centre, speed, normalizing)
}
