

counterincr_counter