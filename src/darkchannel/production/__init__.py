"""Plan, render, assemble, publish: the only place that joins the stages."""
