"""Seeing: pictures of what runs measured."""
