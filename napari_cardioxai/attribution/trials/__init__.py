"""Methods on trial: networks that learnt to decide from one planted thing, and whose maps find it."""
