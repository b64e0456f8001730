"""Projections of the penultimate layer on the plane of three classes (Fig. 5)."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Plane:
    """A plane in the space of the pre-logits.

    Args:
        origin: array of shape (features,), a point of the plane.
        basis: array of shape (2, features), orthonormal rows.
    """

    origin: np.ndarray
    basis: np.ndarray

    def project(self, vectors):
        """Returns the coordinates of vectors (n, features) in the plane, float64 (n, 2)."""
        return (np.asarray(vectors, np.float64) - self.origin) @ self.basis.T


def plane_through(templates):
    """Returns the plane through the templates of three classes.

    The first template is the origin, the second lies on the positive first axis, and the third on
    the side of the positive second axis. Source: Mueller et al., NeurIPS 2019, as in Fig. 5.

    Args:
        templates: array of shape (3, features), the mean pre-logits of each class.

    Returns:
        A `Plane`.

    Raises:
        ValueError: If the templates lie on one line, or are of fewer than two features.
    """
    templates = np.asarray(templates, np.float64)
    if templates.ndim != 2 or templates.shape[0] != 3 or templates.shape[1] < 2:
        raise ValueError(
            "`templates` must have the shape (3, features) with at least two features. "
            f"Received: shape {templates.shape}"
        )
    sides = templates[1:] - templates[0]
    axes, corners = np.linalg.qr(sides.T)
    lengths = np.diag(corners)
    if np.abs(lengths).min() <= 1e-9 * np.abs(sides).max():
        raise ValueError("`templates` must not lie on one line: no plane is theirs alone")
    return Plane(templates[0], (axes * np.sign(lengths)).T)
