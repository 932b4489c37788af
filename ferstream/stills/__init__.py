"""Faces and expressions in still pictures: reading a picture, finding and classifying its faces, JSON and a drawing.

It uses the detector, the alignment and the classifier of the stage rooms, without threads.
"""
