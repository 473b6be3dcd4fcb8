"""One or two of every shaper, for laws that all of them obey."""

SHAPERS = {
    "ramp": ("ramp", 'up = "7s"\nhold = "3s"\ndown = "4s"\nfrom = 0.2\nto = 1.5'),
    "ramp at the end": ("ramp", 'up = "3s"\ndown = "4s"'),
    "steps": (
        "steps",
        'steps = [{level = 2, duration = "3s"}, {level = 0, duration = "1230ms"},'
        ' {level = 5, duration = "2s", ramp = "777ms"}]',
    ),
    "steps repeated": (
        "steps",
        'repeat = true\nsteps = [{level = 2, duration = "130ms"},'
        ' {level = 0.1, duration = "333ms", ramp = "50ms"}]',
    ),
    "schedule": (
        "schedule",
        'timezone = "UTC"\nentries = [{hours = [0], multiplier = 0.5}]',
    ),
    "spikes": ("spikes", 'every = "2s"\nfactor = 3\nramp_up = "300ms"\nramp_down = "1s"'),
    "spikes that jump": ("spikes", 'every = "1s"\nfactor = 0\nramp_up = "0s"\nramp_down = "250ms"'),
    "noise": ("noise", "amplitude = 1"),
    "fractal noise": ("noise", 'kind = "fractal"\namplitude = 1\nperiod = "2s"'),
    "curve": (
        "curve",
        'segment = [{kind = "heaviside", from = 0.5, to = 3, duration = "5s"},'
        ' {kind = "pause", duration = "1s"}, {kind = "ramp", from = 1, to = 2, duration = "3s"}]',
    ),
    "sine": ("sine", 'period = "3s"\namplitude = 1'),
    "limit": ("limit", 'max = "500/s"'),
}
"""Name of the case: `use` and the lines of the table."""
