"""A particle in a double-well potential, seen by sensors; exact inference on a grid."""

import numpy as np


def log_normal(x, mean, scale):
    """Returns the log-density of a Gaussian."""
    return -0.5 * ((x - mean) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)


class DoubleWell:
    """Langevin dynamics of a particle in the potential (s^2 - 1)^2.

    ds = -4 s (s^2 - 1) dt + noise dW, simulated in steps of 0.02 and observed every 0.5 by six
    sensors that measure exp(-(s - center)^2) with Gaussian noise of 0.1.

    Args:
      noise: the standard deviation of the force per square root of time.
    """

    substeps, dt, sensor_noise = 25, 0.02, 0.1
    centers = np.linspace(-1.5, 1.5, 6)

    def __init__(self, noise=1.0):
        self.noise = noise
        self.grid = np.linspace(-2.5, 2.5, 401)
        small = np.exp(log_normal(self.grid, *(m[:, None] for m in self._move(self.grid))))
        small /= small.sum(axis=1, keepdims=True)
        self.transition = np.linalg.matrix_power(small, self.substeps)  # [from, to]
        self.stationary = np.linalg.matrix_power(self.transition, 1000)[0]

    def sample(self, rng, num_sequences, steps):
        """Samples sequences of observations, [num_sequences, steps, 6]."""
        state = rng.choice(self.grid, size=num_sequences, p=self.stationary)
        states = [state := self._next(rng, state) for _ in range(steps)]
        return self._observe(rng, np.stack(states, axis=1))

    def log_prob(self, observed):
        """Returns the log-likelihood of sequences [B, T, 6], in nats [B]."""
        return self._filter(observed)[0]

    def forecast(self, rng, observed, ahead, num_samples):
        """Samples what comes after sequences [B, T, 6]: [num_samples, B, ahead, 6]."""
        beliefs = self._filter(observed)[1]
        state = np.stack([rng.choice(self.grid, num_samples, p=belief) for belief in beliefs], 1)
        states = [state := self._next(rng, state) for _ in range(ahead)]
        return self._observe(rng, np.stack(states, axis=2))

    def _move(self, state):
        """Returns the mean and the standard deviation after a small step."""
        drift = -4 * state * (state**2 - 1)
        return state + self.dt * drift, np.full_like(state, self.noise * np.sqrt(self.dt))

    def _next(self, rng, state):
        for _ in range(self.substeps):
            mean, scale = self._move(state)
            state = mean + scale * rng.normal(size=state.shape)
        return state

    def _sensors(self, state):
        return np.exp(-((state[..., None] - self.centers) ** 2))

    def _observe(self, rng, state):
        sensors = self._sensors(state)
        return sensors + self.sensor_noise * rng.normal(size=sensors.shape)

    def _filter(self, observed):
        """Returns log-likelihoods [B], and p(s_T given x_1:T) on the grid, [B, G]."""
        belief, total = np.tile(self.stationary, [len(observed), 1]), 0.0
        sensors = self._sensors(self.grid)
        for x in np.moveaxis(observed, 1, 0):
            density = log_normal(x[:, None], sensors, self.sensor_noise).sum(axis=-1)
            log_joint = density + np.log(belief @ self.transition + 1e-300)
            evidence = np.logaddexp.reduce(log_joint, axis=1)
            belief, total = np.exp(log_joint - evidence[:, None]), total + evidence
        return total, belief
