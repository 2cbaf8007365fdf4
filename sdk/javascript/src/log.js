// Lines for the operator, in the agent's log. Never log telemetry.

import { write } from 'petrel:plugin/log@0.1.0'

export const debug = (message) => write(2, message)
export const info = (message) => write(3, message)
export const warn = (message) => write(4, message)
export const error = (message) => write(5, message)
