"""Networks that come with thalweg, and the way to a user's own."""

from thalweg.models.registry import MODELS, ModelFactory, find_model, model_factory

__all__ = ["MODELS", "ModelFactory", "find_model", "model_factory"]
