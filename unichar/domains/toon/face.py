"""Heads and faces: species features, seven expressions, accessories."""

from unichar.domains.toon.pen import INK, Color, Pen, darker, lighter
from unichar.domains.toon.vocabulary import Identity

IRIS: dict[str, Color] = {
    "brown": (128, 76, 40),
    "green": (60, 168, 76),
    "blue": (58, 126, 236),
    "red": (214, 40, 48),
    "purple": (150, 70, 214),
}
PINK: Color = (246, 164, 176)
CREAM: Color = (252, 246, 236)
HEAD = (0.5, 0.39)


def head(pen: Pen, identity: Identity, coat: Color, fur: Color, expression: str) -> None:
    """Ears, skull, face and accessory of one toon; `coat` is the named colour, `fur` that of the face."""
    species = identity.species

    # Behind the chin.
    if identity.accessory == "scarf":
        pen.box((0.5, 0.585), 0.135, 0.034, (214, 60, 70), corner=0.03)
        pen.box((0.575, 0.66), 0.032, 0.065, (214, 60, 70), corner=0.01)

    _ears(pen, species, coat)
    if species == "robot":
        pen.box(HEAD, 0.195, 0.17, coat, corner=0.05)
    else:
        pen.oval(HEAD, 0.205, 0.18, fur)
    _muzzle(pen, species, coat)

    # Frogs have their eyes on top of the head, owls their mouth below the beak.
    eye_y = 0.27 if species == "frog" else 0.37
    _mouth(pen, expression, 0.455 if species != "owl" else 0.485)
    if species == "human":
        _fringe(pen, coat)

    # A frog's eyes bulge in front of any hat.
    if species == "frog" and identity.accessory != "glasses":
        _accessory(pen, identity.accessory, eye_y)
        _eyes(pen, IRIS[identity.eyes], expression, eye_y)
    else:
        _eyes(pen, IRIS[identity.eyes], expression, eye_y)
        _accessory(pen, identity.accessory, eye_y)


def _ears(pen: Pen, species: str, coat: Color) -> None:
    # Left, then right; humans have none, hair covers them.
    for side in (-1, 1):
        x = 0.5 + side * 0.14
        if species in ("cat", "fox"):
            # A fox has longer ears, wider apart and dark inside.
            tip = 0.13 if species == "cat" else 0.08
            spread = 0.03 if species == "cat" else 0.05
            pen.shape([(x - side * 0.09, 0.25), (x + side * spread, tip), (x + side * 0.05, 0.33)], coat)
            inner = PINK if species == "cat" else (70, 60, 66)
            pen.shape(
                [
                    (x - side * 0.045, 0.245),
                    (x + side * (spread - 0.006), tip + 0.05),
                    (x + side * 0.025, 0.29),
                ],
                inner,
                None,
            )
        elif species == "dog":
            pen.oval((0.5 + side * 0.205, 0.40), 0.058, 0.125, darker(coat, 0.3))
        elif species == "rabbit":
            pen.oval((0.5 + side * 0.085, 0.15), 0.05, 0.135, coat)
            pen.oval((0.5 + side * 0.085, 0.16), 0.022, 0.095, PINK, ink=None)
        elif species == "bear":
            pen.oval((0.5 + side * 0.155, 0.25), 0.07, 0.07, coat)
            pen.oval((0.5 + side * 0.155, 0.25), 0.036, 0.036, lighter(coat, 0.5), ink=None)
        elif species == "frog":
            pen.oval((0.5 + side * 0.1, 0.25), 0.085, 0.085, coat)
        elif species == "owl":
            pen.shape(
                [(x - side * 0.06, 0.25), (x + side * 0.055, 0.17), (x + side * 0.05, 0.33)],
                darker(coat, 0.25),
            )
        elif species == "dragon":
            pen.shape(
                [(0.5 + side * 0.07, 0.25), (0.5 + side * 0.15, 0.10), (0.5 + side * 0.15, 0.28)], CREAM
            )
        elif species == "robot":
            pen.box((0.5 + side * 0.205, 0.39), 0.03, 0.05, darker(coat, 0.35), corner=0.01)

    # An antenna.
    if species == "robot":
        pen.line([(0.5, 0.23), (0.5, 0.13)], INK, 0.018)
        pen.oval((0.5, 0.12), 0.034, 0.034, (255, 90, 90))


def _muzzle(pen: Pen, species: str, coat: Color) -> None:
    # Snouts, noses, beaks and whiskers; humans and frogs have a mouth only.
    if species in ("bear", "dog"):
        pen.oval((0.5, 0.455), 0.095, 0.075, lighter(coat, 0.6), ink=None)
        pen.oval((0.5, 0.42), 0.03, 0.02, INK, ink=None)
    elif species == "cat":
        # Two whiskers on each side, then the nose.
        for side in (-1, 1):
            for dy in (-0.01, 0.025):
                pen.line([(0.5 + side * 0.11, 0.445 + dy / 2), (0.5 + side * 0.22, 0.435 + dy)], INK, 0.007)
        pen.shape([(0.48, 0.415), (0.52, 0.415), (0.5, 0.436)], PINK)
    elif species == "rabbit":
        pen.oval((0.5, 0.425), 0.022, 0.015, PINK)
    elif species == "fox":
        # The lower half of the face is white.
        pen.slice((0.5, 0.39), 0.2, 0.175, 20, 160, CREAM)
        pen.oval((0.5, 0.425), 0.026, 0.019, INK, ink=None)
    elif species == "owl":
        # Discs around the eyes, then the beak.
        for side in (-1, 1):
            pen.oval((0.5 + side * 0.085, 0.37), 0.085, 0.085, lighter(coat, 0.65))
        pen.shape([(0.475, 0.42), (0.525, 0.42), (0.5, 0.465)], (250, 176, 56))
    elif species == "dragon":
        # Snout, nostrils, the middle horn.
        pen.oval((0.5, 0.47), 0.12, 0.075, lighter(coat, 0.45), ink=None)
        for side in (-1, 1):
            pen.oval((0.5 + side * 0.045, 0.425), 0.011, 0.011, INK, ink=None)
        pen.shape([(0.47, 0.215), (0.5, 0.16), (0.53, 0.215)], lighter(coat, 0.45))
    elif species == "robot":
        pen.box((0.5, 0.455), 0.11, 0.055, lighter(coat, 0.7), corner=0.02, ink=None)


def _eyes(pen: Pen, iris: Color, expression: str, y: float) -> None:
    for side in (-1, 1):
        x = 0.5 + side * 0.085
        # Closed eyes are arcs: upward when laughing, downward when asleep or winking.
        if expression == "laughing":
            pen.arc((x, y + 0.02), 0.045, 0.045, 190, 350, 0.02)
        elif expression == "sleepy" or (expression == "winking" and side == 1):
            pen.arc((x, y - 0.02), 0.045, 0.04, 15, 165, 0.02)
        else:
            # White, iris, pupil, a spot of light.
            wide = 1.2 if expression == "surprised" else 1.0
            pen.oval((x, y), 0.05 * wide, 0.055 * wide, (255, 255, 255))
            pen.oval((x, y + 0.004), 0.036, 0.04, iris, ink=None)
            pen.oval((x, y + 0.004), 0.017, 0.02, INK, ink=None)
            pen.oval((x - 0.014, y - 0.014), 0.012, 0.012, (255, 255, 255), ink=None)
        _brow(pen, expression, x, y - 0.085, side)

    # A tear, or two letters Z.
    if expression == "sad":
        pen.oval((0.5 + 0.125, y + 0.085), 0.02, 0.028, (110, 190, 250), ink=None)
    if expression == "sleepy":
        for x, z_y, half in ((0.76, 0.27, 0.026), (0.84, 0.19, 0.036)):
            pen.line(
                [
                    (x - half, z_y - half),
                    (x + half, z_y - half),
                    (x - half, z_y + half),
                    (x + half, z_y + half),
                ],
                (96, 96, 176),
                0.014,
            )


def _brow(pen: Pen, expression: str, x: float, y: float, side: int) -> None:
    slope = {"sad": -0.025, "angry": 0.03, "surprised": 0.0}.get(expression)
    if slope is None:
        return

    # Inner ends up when sad, down when angry; level and higher when surprised.
    lift = -0.02 if expression == "surprised" else 0.0
    pen.line([(x - side * 0.045, y + slope + lift), (x + side * 0.045, y - slope + lift)], INK, 0.02)


def _mouth(pen: Pen, expression: str, y: float) -> None:
    if expression in ("smiling", "winking"):
        # With rosy cheeks.
        pen.arc((0.5, y), 0.055, 0.045, 15, 165, 0.016)
        for side in (-1, 1):
            pen.oval((0.5 + side * 0.145, y - 0.005), 0.028, 0.018, (250, 150, 150), ink=None)
    elif expression == "sad":
        pen.arc((0.5, y + 0.055), 0.05, 0.04, 200, 340, 0.016)
    elif expression == "angry":
        # Clenched teeth.
        pen.box((0.5, y + 0.025), 0.058, 0.022, (255, 255, 255), corner=0.01)
        for x in (0.475, 0.5, 0.525):
            pen.line([(x, y + 0.008), (x, y + 0.042)], INK, 0.007)
    elif expression == "surprised":
        pen.oval((0.5, y + 0.03), 0.032, 0.04, (150, 40, 56))
    elif expression == "sleepy":
        pen.oval((0.5, y + 0.02), 0.018, 0.016, (150, 40, 56))
    elif expression == "laughing":
        # An open mouth with a tongue.
        pen.slice((0.5, y - 0.005), 0.075, 0.075, 0, 180, (150, 40, 56))
        pen.oval((0.5, y + 0.045), 0.035, 0.018, (244, 120, 130), ink=None)


def _fringe(pen: Pen, hair: Color) -> None:
    # Hair above the forehead and down both sides.
    pen.slice((0.5, 0.375), 0.212, 0.18, 196, 344, hair)
    for side in (-1, 1):
        pen.limb([(0.5 + side * 0.2, 0.34), (0.5 + side * 0.205, 0.5)], hair, 0.035)


def _accessory(pen: Pen, accessory: str, eye_y: float) -> None:
    # A scarf is not among these: it is drawn before the head.
    if accessory == "hat":
        # Brim, crown, band.
        pen.box((0.5, 0.225), 0.17, 0.022, (60, 58, 92), corner=0.015)
        pen.box((0.5, 0.14), 0.11, 0.085, (60, 58, 92), corner=0.015)
        pen.box((0.5, 0.19), 0.11, 0.02, (226, 70, 80), ink=None)
    elif accessory == "crown":
        points = [
            (0.39, 0.235),
            (0.37, 0.11),
            (0.44, 0.17),
            (0.5, 0.08),
            (0.56, 0.17),
            (0.63, 0.11),
            (0.61, 0.235),
        ]
        pen.shape(points, (255, 210, 62))
        pen.oval((0.5, 0.195), 0.02, 0.02, (226, 50, 70), ink=None)
    elif accessory == "bow":
        for side in (-1, 1):
            pen.shape([(0.5, 0.205), (0.5 + side * 0.11, 0.145), (0.5 + side * 0.11, 0.265)], (236, 84, 150))
        pen.oval((0.5, 0.205), 0.03, 0.03, (250, 130, 180))
    elif accessory == "glasses":
        for side in (-1, 1):
            x = 0.5 + side * 0.085
            pen.arc((x, eye_y), 0.075, 0.075, 0, 360, 0.02)
        pen.line([(0.488, eye_y), (0.512, eye_y)], INK, 0.02)
    elif accessory == "headphones":
        pen.arc((0.5, 0.36), 0.215, 0.2, 190, 350, 0.034)
        for side in (-1, 1):
            pen.oval((0.5 + side * 0.215, 0.39), 0.042, 0.068, (250, 120, 60))
