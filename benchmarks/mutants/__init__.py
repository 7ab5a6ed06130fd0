"""Mutation testing: do unit tests fail when a line of the product is wrong?"""
