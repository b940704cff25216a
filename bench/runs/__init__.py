"""From a spec to finished run folders: plan, pool, forecast, progress; comparing, tuning, importing."""
