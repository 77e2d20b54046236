"""From a breached limit to a person: care record, routing, worklist, web."""
