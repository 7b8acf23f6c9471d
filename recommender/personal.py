"""Fingerprints of training data, which only sound like secrets."""

from kernel.personal import Form, register

register("recommender_trainingrun", Form.NAMESAKE, "data_hash")
register("recommender_trainingrun", Form.MACHINE, "error")
register("recommender_modelversion", Form.NAMESAKE, "data_hash")
