

counterreset_counter