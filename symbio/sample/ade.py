"""ADE20K classes (from 0, OneFormer's order) that the sample's worlds are made of."""

from __future__ import annotations

WALL, BUILDING, SKY, FLOOR, TREE, CEILING, ROAD, BED, WINDOW, GRASS, CABINET, SIDEWALK, PERSON = (
    range(13)
)
DOOR, TABLE, PLANT, CURTAIN, CHAIR, CAR, PAINTING, SOFA = 14, 15, 17, 18, 19, 20, 22, 23
RUG, FENCE, LAMP, SIGNBOARD, PILLOW, BOOKCASE = 28, 32, 36, 43, 57, 62
BUS, TRUCK, TV, POLE, BICYCLE, TRAFFIC_LIGHT = 80, 83, 89, 93, 127, 136

ROOMS = (
    WALL, FLOOR, CEILING, BED, WINDOW, CABINET, PERSON, DOOR, TABLE, PLANT, CURTAIN, CHAIR,
    PAINTING, SOFA, RUG, LAMP, PILLOW, BOOKCASE, TV,
)  # fmt: skip
"""Classes of the rooms."""

STREETS = (
    WALL, BUILDING, SKY, TREE, ROAD, GRASS, SIDEWALK, PERSON, PLANT, CAR, FENCE, SIGNBOARD, BUS,
    TRUCK, POLE, BICYCLE, TRAFFIC_LIGHT,
)  # fmt: skip
"""Classes of the streets."""

NYU894 = {
    WALL: 21, FLOOR: 11, CEILING: 4, BED: 157, WINDOW: 59, CABINET: 3, PERSON: 331, DOOR: 28,
    TABLE: 19, PLANT: 0, CURTAIN: 89, CHAIR: 5, PAINTING: 64, SOFA: 83, RUG: 143, LAMP: 144,
    PILLOW: 119, BOOKCASE: 88, TV: 172,
}  # fmt: skip
"""Label id in the NYU file for each class of the rooms.

Chosen so that its NYU40 class is the one that the public ADE20K -> NYU40 tables give. Those give
a plant none, so that plants stay unlabelled (0) here.
"""

CITYSCAPES = {
    WALL: 12, BUILDING: 11, SKY: 23, TREE: 21, ROAD: 7, GRASS: 22, SIDEWALK: 8, PERSON: 24,
    PLANT: 21, CAR: 26, FENCE: 13, SIGNBOARD: 20, BUS: 28, TRUCK: 27, POLE: 17, BICYCLE: 33,
    TRAFFIC_LIGHT: 19,
}  # fmt: skip
"""Cityscapes label id for each class of the streets (cityscapesScripts, labels.py)."""
