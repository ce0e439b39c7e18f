

counterget_counter